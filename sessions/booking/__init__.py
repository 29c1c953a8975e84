"""Book, move, overbook, cancel and take back: what changes visits."""
