"""Training: the LightningModule, losses, optimizers, callbacks, loggers and launching."""
