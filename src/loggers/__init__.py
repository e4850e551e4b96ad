"""Where metrics, results and samples go in addition to the run's folder."""
