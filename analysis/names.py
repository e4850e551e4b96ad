"""What can be asked for by name, in the order shown."""

FIGURES = ("fig1", "fig3", "fig4", "fig5", "kl", "length", "ensemble", "cost", "improvement", "profiles")
FORMATS = ("svg", "png", "pdf")
