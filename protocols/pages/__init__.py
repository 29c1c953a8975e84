"""Plans arranged for reading: what page and print show, made from the stored answer."""
