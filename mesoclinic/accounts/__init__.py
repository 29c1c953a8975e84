"""Who works where: clinic, sites, staff, roles, and what each may do."""
