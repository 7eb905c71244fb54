"""TensorFlow: after `keras.utils.set_random_seed`, `fit(shuffle=True)` brings every epoch in the same order.

The permutation is drawn by `tf.random.shuffle` inside a `tf.data` map (keras/src/trainers/data_adapters/
array_data_adapter.py, `get_tf_dataset`). With a global seed the op's state begins anew with each iterator, and each
epoch makes an iterator; without one every iterator draws its own seed.
"""

import keras
import numpy as np

orders: list[str] = []


class Seen(keras.Layer):
    """A layer that keeps the batch's inputs."""

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Create the place where they are kept."""
        self.kept = self.add_weight(shape=(9,), initializer="zeros", trainable=False)
        self.scale = self.add_weight(shape=(1,), initializer="ones")

    def call(self, x: object) -> object:
        """Keep the inputs."""
        self.kept.assign(x[:, 0])
        return x * self.scale


def note(epoch: int, logs: dict[str, float]) -> None:
    """Note the order of the epoch's only batch."""
    orders.append("".join(str(int(i)) for i in keras.ops.convert_to_numpy(model.layers[0].kept.value)))


x = np.arange(1, 10, dtype="float32")[:, None]
watch = keras.callbacks.LambdaCallback(on_epoch_end=note)
for seed in (None, 0):
    if seed is not None:
        keras.utils.set_random_seed(seed)
    model = keras.Sequential([Seen()])
    model.compile(optimizer=keras.optimizers.SGD(0.0), loss="mse")
    model.fit(x, x, batch_size=9, verbose=0)  # the first call builds the model, which may draw an order of its own
    for name, calls, epochs in (("one call of fit", 1, 4), ("four calls", 4, 1)):
        orders.clear()
        for _ in range(calls):
            model.fit(x, x, batch_size=9, epochs=epochs, shuffle=True, verbose=0, callbacks=[watch])
        print(f"seed {seed}, orders of 4 epochs in {name} = {' '.join(orders)}")
