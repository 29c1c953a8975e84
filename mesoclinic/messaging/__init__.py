"""The outbox: messages as rows, written anew when their sources change, each sent once."""
