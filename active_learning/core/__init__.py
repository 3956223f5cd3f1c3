"""Ideas in numbers and plain values: features, learners, acquisition, evaluation, files. No Django here."""
