"""What the database itself keeps of a print that was made."""

from mesoclinic.core.guards import frozen, register

# What a document shows never changes once it was made; its state may (a lost file is made again from the same input).
DOCUMENT_MADE = frozen(
    name="document_made_frozen",
    table="documents_document",
    when="{row}.state = 'ready'",
    columns=("public_id", "kind", "subject_id", "person_id", "title", "language", "context", "input_hash"),
    unique=("id", "public_id", "input_hash"),
)
register(DOCUMENT_MADE)
