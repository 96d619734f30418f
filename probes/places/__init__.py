"""Where in the world the clouds' places are: tables and jurisdictions, shared by the areas. Pure."""
