"""What is measured of features: collapse, accuracy, k-NN, and the features themselves."""
