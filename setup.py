"""Package of Turnwise: the data job, the trainer, and the schemas that they share."""

from setuptools import setup

setup(
    name="turnwise",
    version="0.1.0",
    description="Learns from raw conversation logs which intents each turn carries",
    license="Apache-2.0",
    # tfx-bsl has wheels for Linux alone; the ranges of its family belong together.
    python_requires=">=3.11,<3.12",
    packages=["pipeline", "pipeline.convert", "schemas", "trainer"],
    package_data={"trainer": ["templates/*.j2"]},
    install_requires=[
        "apache-beam>=2.77,<3",
        "filelock>=3.20,<4",
        "jinja2>=3.1,<4",
        "keras>=3.15,<4",
        "markupsafe>=3,<4",
        "matplotlib>=3.10,<4",
        "numpy>=2.2,<3",
        "pyarrow>=21",
        "pyyaml>=6,<7",
        "scikit-learn>=1.7,<2",
        "scipy>=1.15,<2",
        "tensorflow>=2.21,<2.22",
        "tensorflow-transform>=1.21,<1.22",
        "tfx-bsl>=1.21,<1.22",
        "tqdm>=4.67,<5",
    ],
    extras_require={"test": ["hypothesis>=6.150,<7", "pytest>=9,<10", "pytest-xdist>=3.8,<4", "ruff>=0.17,<0.18"]},
    entry_points={
        "console_scripts": [
            "turnwise-pipeline = pipeline.__main__:command_line",
            "turnwise-trainer = trainer.__main__:command_line",
            "turnwise-worker = pipeline.worker:command_line",
        ]
    },
)
