"""Models in Hugging Face's layout: where they are, what they are for, and how they read texts, whatever runs them."""
