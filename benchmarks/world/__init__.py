"""The main job on the embedded world: how good every method is, whether the bound holds, and what it costs."""
