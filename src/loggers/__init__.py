"""Where metrics, results and samples go besides the run's folder."""
