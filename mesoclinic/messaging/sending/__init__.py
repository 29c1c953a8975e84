"""From a row to the mail server or provider, and what comes back."""
