"""Does a callback in the middle of an epoch read the model's weights and the optimizer's as of the last step?"""

import keras
import numpy as np


class Watch(keras.callbacks.Callback):
    """A callback that records the weight after each batch and each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Note the weight after a step."""
        self.note()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Note the weight after the epoch."""
        self.note()

    def note(self) -> None:
        """Note the first weight and the optimizer's step count."""
        try:
            steps = int(keras.ops.convert_to_numpy(self.model.optimizer.iterations.value))
            self.seen.append(f"{self.model.get_weights()[0][0, 0]:.3f} at step {steps}")
        except Exception as error:
            self.seen.append(type(error).__name__)


model = keras.Sequential([keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
model.compile(optimizer=keras.optimizers.SGD(0.1), loss=lambda y, p: -p)
watch = Watch()
model.fit(np.ones((3, 1), "float32"), np.ones((3, 1), "float32"), batch_size=1, callbacks=[watch], verbose=0)
print(f"after each of 3 steps, then after the epoch = {'; '.join(watch.seen)}")
