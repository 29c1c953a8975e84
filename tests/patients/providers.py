"""What the formulary tells the intake, without the formulary."""


def ingredient_choices() -> list[tuple[str, str]]:
    return [("biotin", "Biotin"), ("dexpanthenol", "Dexpanthenol"), ("pdrn", "PDRN")]


def no_ingredients() -> list[tuple[str, str]]:
    return []
