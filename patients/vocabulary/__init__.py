"""What an intake may ask, as data: facts with their values and questions, concerns, severity scales, scalp zones.

Pure Python, no Django. The formulary refers to these words; they know nothing of any formulary.
"""

from patients.vocabulary.loading import asked_documents, build_vocabulary, load_vocabulary, vocabulary_documents
from patients.vocabulary.model import (
    SEVERITIES,
    Alert,
    Choice,
    Code,
    Concern,
    Fact,
    MedicineClass,
    OnlyIf,
    Part,
    Question,
    Scale,
    Section,
    Stage,
    Test,
    Unit,
    Vocabulary,
    Zone,
)
from patients.vocabulary.reading import DataFileError, read_yaml
from patients.vocabulary.releases import Release, asked_now, build_releases, facts_since, load_releases, values_since

__all__ = [
    "SEVERITIES",
    "Alert",
    "Choice",
    "Code",
    "Concern",
    "DataFileError",
    "Fact",
    "MedicineClass",
    "OnlyIf",
    "Part",
    "Question",
    "Release",
    "Scale",
    "Section",
    "Stage",
    "Test",
    "Unit",
    "Vocabulary",
    "Zone",
    "asked_documents",
    "asked_now",
    "build_releases",
    "build_vocabulary",
    "facts_since",
    "load_releases",
    "load_vocabulary",
    "read_yaml",
    "values_since",
    "vocabulary_documents",
]  # fmt: skip
