"""What every judge that runs here says of real exchanges, against people, GPT-4 and correct answers."""
