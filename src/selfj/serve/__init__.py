"""The gateway `selfj serve`: it answers or declines for a model behind it, and keeps every decision."""
