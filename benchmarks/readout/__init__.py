"""How fast a judge is read, against bare prefill of what must be read and against the procedures in use."""
