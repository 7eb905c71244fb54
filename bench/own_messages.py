"""What the supervisor and a worker say to each other about a workload of the user's own (`bench.workload`)."""

from __future__ import annotations

from typing import Literal

import msgspec

from bench.message import Message


class Own(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker needs to know of a workload of the user's own (`bench.workload`).

    Attributes:
        target: `package.module:object` or `/path/file.py:object`.
        metric: that is reported, as Keras's logs name it.
        weights: file (.npz) with the initial weights of the job's seed, in the order of `model.weights`.
        tests_epochs: whether the test part is evaluated after each epoch, not after the last one alone.
        has_floor: whether it is known what a step must do, so that the device's limits are worth measuring.
    """

    target: str
    metric: str
    weights: str
    tests_epochs: bool = False
    has_floor: bool = False


class Describe(Message, frozen=True, kw_only=True):
    """Only say what a workload of the user's own is, and draw its initial weights; sent instead of a `Job`.

    Attributes:
        backend, device, threads: as in `Job`.
        target: as in `Own`.
        seeds: of the initial weights, 0 and up.
        folder: in which to leave them, `weights-SEED.npz` each.
    """

    backend: str
    device: str
    threads: int
    target: str
    seeds: int
    folder: str


class Described(Message, frozen=True, kw_only=True):
    """The answer to a `Describe`; name, metric, better, target, batch size and epochs as in its `Workload`.

    Attributes:
        sha256: of the arrays, in order.
        model_sha256: of the model's layers, loss and optimizer, whatever they are called (`bench.own_model`).
        weights_sha256: of the initial weights of all seeds.
        num_train, num_test: examples.
        outputs: numbers that the model predicts for an example.
        parameters: numbers in its weights.
        learning_rate: of its optimizer, at the start; 0 where it tells none.
        optimizer: its class.
        tables: the weights that embedding layers look rows up in, as stages name them.
        random: its layers that draw random numbers in training, such as `dropout`.
        traced: names of the numbers in a bias trace (`bench.own_recorder`).
        step_operations, step_bytes: as in `bench.report.Workload`.
    """

    name: str
    metric: str
    better: Literal["lower", "higher"]
    target: float | None = None
    batch_size: int
    epochs: int
    sha256: str
    model_sha256: str
    weights_sha256: str
    num_train: int
    num_test: int
    outputs: int
    parameters: int
    learning_rate: float
    optimizer: str
    tables: list[str]
    random: list[str]
    traced: list[str]
    step_operations: float | None = None
    step_bytes: float | None = None
