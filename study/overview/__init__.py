"""The page over all studies: a question, its answer, and every setting."""
