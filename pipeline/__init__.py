"""The data job: from raw conversation logs to sharded windows."""
