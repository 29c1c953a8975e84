"""What every page is made of: icons, days, toasts, tags, forms over what is stored."""
