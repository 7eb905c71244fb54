"""When an embedding table may be updated in the rows that a batch has touched alone."""

from __future__ import annotations

from typing import Any

import keras

_OF_WHOLE_TABLES = {  # attributes of a Keras optimizer, and why they reach rows without a gradient or all gradients
    "weight_decay": "weight decay shrinks every row",
    "clipnorm": "clipping by norm takes the whole gradient",
    "global_clipnorm": "clipping by norm takes the whole gradient",
    "clipvalue": "clipping is done on the whole gradient",
    "use_ema": "the moving average follows every row",
    "gradient_accumulation_steps": "gradients are gathered in whole tables",
    "loss_scale_factor": "the loss is scaled",
}


def why_not_rows(optimizer: keras.optimizers.Optimizer) -> str | None:
    """Return why an optimizer's step is not exact by rows, or None where it is.

    Adagrad and SGD without momentum leave a row whose gradient is zero, and what they keep for it, as they are.
    """
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return "gradients are scaled, and dropped where the whole of one is not finite"
    # Keras's own: on PyTorch it makes instances of subclasses that it keeps for that backend.
    kinds = [kind for kind in type(optimizer).__mro__ if kind.__module__.startswith("keras.")]
    if type(optimizer) is kinds[0] and keras.optimizers.SGD in kinds:
        if getattr(optimizer, "momentum", 0):
            return "SGD's momentum moves rows that a batch does not touch"
    elif type(optimizer) is not kinds[0] or keras.optimizers.Adagrad not in kinds:
        return f"{type(optimizer).__name__} changes rows, or what it keeps for them, that a batch does not touch"
    return next((why for name, why in _OF_WHOLE_TABLES.items() if getattr(optimizer, name, None)), None)


def embedding_layers(model: keras.Model) -> list[tuple[int, list[keras.layers.Embedding]]]:
    """Return, by place in `model.trainable_variables`, the layers that look up rows in that table.

    Left out are tables with a constraint, and layers whose look-up is not `keras.layers.Embedding.call` of one
    variable: subclasses with a call of their own, quantized ones, and those with LoRA.
    """
    found: dict[int, list[Any]] = {}
    places = {id(variable): place for place, variable in enumerate(model.trainable_variables)}
    for layer in model._flatten_layers():
        if not isinstance(layer, keras.layers.Embedding) or type(layer).call is not keras.layers.Embedding.call:
            continue
        if "call" in vars(layer) or layer.lora_enabled or layer.quantization_mode is not None or not layer.built:
            continue
        table = layer.embeddings
        if table.constraint is None and id(table) in places:
            found.setdefault(places[id(table)], []).append(layer)
    return sorted(found.items())
