"""Linear layers whose adapters PEFT does not load.

PEFT changes targets and names when it loads an adapter, so that those of transformers 4 still work: in a mixture of
experts, `gate_proj`, `up_proj` and `down_proj` go to the tensor that holds all experts, and what a checkpoint calls
otherwise is renamed. An adapter saved under a layer's own name is then left out without an error. For models with Mamba
layers, PEFT refuses some names.
"""

from collections.abc import Mapping

import torch
from peft import LoraConfig
from peft.tuners.tuners_utils import _check_lora_target_modules_mamba
from peft.utils.transformers_weight_conversion import (
    convert_peft_adapter_state_dict_for_transformers,
    convert_peft_config_for_transformers,
)
from transformers import PreTrainedModel

PREFIX_IN_PEFT = "base_model.model."


def lost_in_peft(model: PreTrainedModel, layers: Mapping[str, tuple[int, int]]) -> set[str]:
    """The layers whose adapters would be lost.

    Args:
        model: the model, without adapters.
        layers: (out, in) of linear layers, by name.

    Returns:
        Names of layers.
    """
    kinds = {name.rsplit(".", 1)[-1] for name in layers}
    refused = {kind for kind in kinds if _refused(model, kind)}
    config = LoraConfig(r=1, target_modules=sorted(kinds - refused))
    state = {}
    for name, (out, into) in layers.items():
        state[f"{PREFIX_IN_PEFT}{name}.lora_A.weight"] = torch.zeros(1, into)
        state[f"{PREFIX_IN_PEFT}{name}.lora_B.weight"] = torch.zeros(out, 1)
    try:
        loaded = set(convert_peft_adapter_state_dict_for_transformers(model, config, dict(state)))
    except Exception:  # names that are converted to tensors of several layers
        loaded = set()
    return {
        name
        for name in layers
        if name.rsplit(".", 1)[-1] in refused
        or not {f"{PREFIX_IN_PEFT}{name}.lora_{part}.weight" for part in "AB"} <= loaded
    }


def _refused(model: PreTrainedModel, kind: str) -> bool:
    """Whether PEFT refuses a target of this name, or gives it to something else."""
    config = LoraConfig(target_modules=[kind])
    try:
        _check_lora_target_modules_mamba(config, model, kind)
        convert_peft_config_for_transformers(config, model, None)
    except ValueError:  # also for names that have to be converted together
        return True
    return kind not in (config.target_modules or ())
