"""Who did what and when: one chain of events that nothing can change unseen."""
