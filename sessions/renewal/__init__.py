"""What hangs on a person, a site or a member of staff, renewed or listed when they change."""
