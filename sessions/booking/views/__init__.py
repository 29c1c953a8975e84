"""The pages on which visits are booked, moved and cancelled."""
