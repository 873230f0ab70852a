"""Why a model is less accurate on labelled images than it should be."""
