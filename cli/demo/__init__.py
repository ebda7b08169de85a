"""The showcase: recorded answers of good quality behind a Messages API, so that the patterns can be seen without any model."""
