"""The faults that `bench mutants` plants: what each is, and the earliest stage that shows it.

`bench.worker.faults`, which only a worker imports, plants them. The earliest stage follows from what a fault touches:

- `forward`: the function and the initial weights;
- `loss`: the labels, the first batch and the loss;
- `gradient`: the backward pass;
- `probe`: the optimizer's rule;
- `accumulators 1`: the start of an accumulator, since the probe sets it;
- `accumulators 10`: the first ten batches and their order;
- an epoch: later events;
- `training rmse`: faults in a metric only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

BATCH_SIZE = 1000
PARTIAL_BATCH_SIZE = 900  # leaves a partial batch of 80,000 ratings, and of 16,000
LAST_EPOCH = "last epoch"


@dataclass(frozen=True)
class Fault:
    """A planted fault.

    Attributes:
        what: effect of the fault, in a line.
        earliest: first group of stages (`bench.parity.stages`) that shows it; `last epoch` for the workload's last
            epoch. Empty for a fault that no stage shows.
        batch_size: examples a step.
        invisible: reason why no comparison of trainings can show it; None where one can.
        invisible_on: reason why a backend cannot show it, by the backend's name.
    """

    what: str
    earliest: str
    batch_size: int = BATCH_SIZE
    invisible: str | None = None
    invisible_on: Mapping[str, str] = field(default_factory=dict)

    def reason(self, backend: str) -> str | None:
        """Return why a backend cannot show the fault; None where it can."""
        return self.invisible or self.invisible_on.get(backend)


FAULTS: dict[str, Fault] = {
    # The function and its initial weights
    "user ids off by one": Fault("every user takes the embedding row before the user's own", "forward"),
    "two users share a row": Fault("user 2 takes user 1's embedding row", "forward"),
    "towers swapped": Fault("the movie's embedding comes first in the concatenation", "forward"),
    "embedding range": Fault("embeddings start uniform in ±0.06 instead of ±0.05", "forward"),
    "bias start": Fault("the first layer's biases start at 1e-4 instead of 0", "forward"),
    "seed": Fault("initial weights of another seed", "forward"),
    "float16 embeddings": Fault("both tables are kept in float16's precision", "forward"),
    "leaky relu": Fault("leaky relu with slope 1e-3 instead of relu in the first layer", "forward"),
    "relu at the end": Fault("a relu after the last layer", "forward"),
    "bfloat16 products": Fault("operands of matrix products rounded to bfloat16's 8 bits", "forward"),
    "tf32 products": Fault("operands of matrix products rounded to tf32's 11 bits", "forward"),
    "dropout": Fault("1 % of the first layer's units dropped, in predictions too", "forward"),
    # Labels, the first batch, the loss
    "labels stars / 5": Fault("labels are stars / 5 instead of (stars - 1) / 4", "loss"),
    "labels in stars": Fault("labels are stars", "loss"),
    "labels shifted": Fault("every example has the label of the one before", "loss"),
    "movie ids off by one": Fault("training takes the movie before the one rated; prediction does not", "loss"),
    "one example short": Fault("the last example of every batch is replaced by the first", "loss"),
    "order reversed": Fault("batches in reverse order", "loss"),
    "sum of squares": Fault("loss summed over the batch instead of averaged", "loss"),
    "L2 penalty": Fault("a penalty of 1e-6 times the squares of the first kernel", "loss"),
    # The backward pass
    "user gradient missing": Fault("no gradient reaches the user embedding", "gradient"),
    "movie gradient missing": Fault("no gradient reaches the candidate embedding", "gradient"),
    "last of repeated ids": Fault("of users repeated in a batch only the last example counts", "gradient"),
    "mean of repeated ids": Fault(
        "of users repeated in a batch the mean gradient counts instead of the sum", "gradient"
    ),
    "tf32 gradients": Fault("operands of the products for gradients alone rounded to 11 bits", "gradient"),
    # The optimizer's rule
    "epsilon 1e-8": Fault("Adagrad's epsilon is 1e-8 instead of 1e-7", "probe"),
    "epsilon outside": Fault("epsilon added to the root instead of under it", "probe"),
    "learning rate": Fault("learning rate 0.1 % higher: 0.1001 for 0.1", "probe"),
    "bias not updated": Fault("the second layer's bias is not updated", "probe"),
    "no bias updated": Fault("no bias is updated", "probe"),
    "squared before summed": Fault(
        "of ids repeated in a batch the single gradients are squared, then summed",
        "probe",
        invisible_on={"tensorflow": "it is what this backend does: the known deviation itself"},
    ),
    "accumulated |g|": Fault("the accumulator adds |g| instead of g²", "probe"),
    "decaying accumulator": Fault("the accumulator is multiplied by 0.999 at every step", "probe"),
    "mean over 999": Fault("gradients averaged over 999 of 1000 examples, the loss over all", "probe"),
    "bfloat16 gradients": Fault("gradients rounded to bfloat16's 8 bits before the step", "probe"),
    "clipped together": Fault("all gradients scaled down to a common norm of 1", "probe"),
    "dropout in training": Fault("1 % of the first layer's units dropped in training alone", "probe"),
    "weight decay 1e-5": Fault("decoupled weight decay of 1e-5: a millionth of a weight a step", "probe"),
    "clipped one by one": Fault("each weight's gradient scaled down to norm 1", "accumulators 1"),
    "accumulator from 0": Fault("accumulators start at 0 instead of 0.1", "accumulators 1"),
    "accumulator from 0.11": Fault("accumulators start at 0.11 instead of 0.1", "accumulators 1"),
    # More than one step
    "learning rate decays": Fault("the learning rate falls by 1 % of its start a step", "accumulators 10"),
    "fifth batch skipped": Fault("the fifth batch of every epoch is left out", "accumulators 10"),
    "early batches swapped": Fault("the second and third batch of every epoch change places", "accumulators 10"),
    "late batches swapped": Fault("the last two batches of every epoch change places", "epoch 1"),
    "partial batch dropped": Fault(
        "the last, smaller batch of every epoch is left out", "epoch 1", batch_size=PARTIAL_BATCH_SIZE
    ),
    "shuffled": Fault("examples are shuffled anew from the second epoch on", "epoch 2"),
    "optimizer forgets": Fault("accumulators go back to 0.1 at the start of every epoch", "epoch 2"),
    "one epoch short": Fault("the last epoch is not trained", LAST_EPOCH),
    "stale metric": Fault("the RMSE metric is never reset", "training rmse"),
    "mean of RMSEs": Fault("the RMSE metric is the mean over batches of their RMSE", "training rmse"),
    # What no comparison can see
    "weight decay 1e-6": Fault(
        "decoupled weight decay of 1e-6",
        "",
        invisible="1e-7 of a weight a step is one or two of its float32 spacings, no more than a rounding makes",
    ),
    "weight decay 1e-12": Fault(
        "decoupled weight decay of 1e-12",
        "",
        invisible="1e-13 of a weight a step is far less than half its float32 spacing: no weight changes by a bit",
    ),
    "row 0": Fault("row 0 of both tables starts at other values", "", invisible="no user and no movie has id 0"),
    "norm never reached": Fault(
        "all gradients scaled down to a common norm of 1000", "", invisible="no gradient of this training is that large"
    ),
    "order within batches": Fault(
        "the examples of each batch in another order",
        "",
        invisible="the loss is a mean over the batch: the same mathematics, which the envelope itself is made of",
    ),
}
