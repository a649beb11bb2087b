"""The contracts between the data job and the trainer: file formats, directories, exit statuses."""
