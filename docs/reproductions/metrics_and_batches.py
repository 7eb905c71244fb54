"""What `fit`, `evaluate` and `predict` print over batches of unequal size, over epochs and over calls."""

import keras
import numpy as np

N, BATCH = 2500, 1000  # batches of 1000, 1000 and 500
rng = np.random.default_rng(0)
x = rng.normal(size=(N, 8)).astype("float32")
y = rng.uniform(size=N).astype("float32")
y[2000:] += 3  # the last, partial batch has by far the largest errors
weight = rng.uniform(0, 2, size=N).astype("float32")


def say(name: str, value: object) -> None:
    """Print a number with its name."""
    print(f"{name} = {value:.6f}" if isinstance(value, float) else f"{name} = {value}")


keras.utils.set_random_seed(0)
model = keras.Sequential([keras.layers.Dense(16, activation="relu"), keras.layers.Dense(1)])
model.build((None, 8))
rmse = keras.metrics.RootMeanSquaredError
sgd = keras.optimizers.SGD(0.0)  # leaves the weights as they are
model.compile(optimizer=sgd, loss="mse", metrics=[rmse(name="rmse")], weighted_metrics=[rmse(name="weighted_rmse")])
history = model.fit(x, y, batch_size=BATCH, epochs=2, shuffle=False, verbose=0).history
logs = model.evaluate(x, y, batch_size=BATCH, verbose=0, return_dict=True)
p = model.predict(x, batch_size=BATCH, verbose=0)[:, 0]
errors = np.square(p.astype("f8") - y)
say("loss, mean over examples", errors.mean())
say("loss, mean over the means of batches", np.mean([errors[s : s + BATCH].mean() for s in range(0, N, BATCH)]))
say("loss, fit in epoch 1", history["loss"][0])
say("loss, fit in epoch 2", history["loss"][1])
say("loss, evaluate", logs["loss"])
say("rmse squared, fit in epoch 1", history["rmse"][0] ** 2)
say("rmse squared, fit in epoch 2", history["rmse"][1] ** 2)
say("rmse squared, evaluate", logs["rmse"] ** 2)
whole = model.predict(x, batch_size=N, verbose=0)[:, 0]
print(f"predictions in batches of {BATCH} and of {N} differ at most by = {np.abs(p - whole).max():.0e}")

weighted = model.evaluate(x, y, batch_size=BATCH, sample_weight=weight, verbose=0, return_dict=True)
say("weighted, sum of w e / number of examples", (weight * errors).mean())
say("weighted, sum of w e / sum of w", (weight * errors).sum() / float(weight.sum()))
say("weighted, loss of evaluate", weighted["loss"])
say("weighted, rmse squared of evaluate", weighted["weighted_rmse"] ** 2)
say("weighted, rmse squared of a metric that is not in weighted_metrics", weighted["rmse"] ** 2)

losses, start = [], model.get_weights()
model.compile(optimizer=keras.optimizers.Adagrad(0.1), loss="mse")
model.optimizer.build(model.trainable_variables)
fresh = [keras.ops.convert_to_numpy(variable.value) for variable in model.optimizer.variables]
for calls in ([(0, 2)], [(0, 1), (1, 2)]):  # from the same state, one call of two epochs and two calls of one
    model.set_weights(start)
    for variable, value in zip(model.optimizer.variables, fresh, strict=True):
        variable.assign(value)
    for first, last in calls:
        fit = model.fit(x, y, batch_size=BATCH, shuffle=False, initial_epoch=first, epochs=last, verbose=0)
        losses += fit.history["loss"]
say("losses of two epochs in one call and in two calls are the same bits", losses[:2] == losses[2:])

model.compile(loss="mse")
model.set_weights(start)
flat = model.evaluate(x[:32], y[:32], verbose=0, return_dict=True)["loss"]
try:
    column = model.evaluate(x[:32], y[:32, None], verbose=0, return_dict=True)["loss"]
    say("labels shaped [N, 1] after some shaped [N]", f"loss {column - flat:+g}")
except ValueError as error:
    say("labels shaped [N, 1] after some shaped [N]", str(error).splitlines()[-1])
model.compile(loss="mse")
column = model.evaluate(x[:32], y[:32, None], verbose=0, return_dict=True)["loss"]
say("labels shaped [N, 1] after compiling anew", f"loss {column - flat:+g}")

state = rmse()
total, count = state.variables
say("metric state", f"{total.dtype} and {count.dtype}")
count.assign(2.0**24)
state.update_state(np.zeros((1, 1), "f4"), np.zeros((1, 1), "f4"))
counted = float(keras.ops.convert_to_numpy(count.value))
say("examples counted in batches of 1 after 2^24 and one more", f"2^24 + {counted - 2**24:.0f}")
