"""Names of linear layers that PEFT takes for the experts of a mixture, whatever they are.

In transformers 5 the experts of a layer are one tensor; before, each had layers called `gate_proj`, `up_proj` and
`down_proj`. PEFT gives adapters with these targets to the tensor, in every mixture of experts, and loads none for a
dense layer of that name.
"""

from collections.abc import Iterable

from peft import LoraConfig
from peft.utils.transformers_weight_conversion import convert_peft_config_for_transformers
from transformers import PreTrainedModel


def taken_for_experts(model: PreTrainedModel, kinds: Iterable[str]) -> set[str]:
    """The names, among those given, whose adapters PEFT would not load.

    Args:
        model: the model.
        kinds: last parts of the names of linear layers.
    """

    def taken(kind: str) -> bool:
        config = LoraConfig(target_modules=[kind])
        try:
            convert_peft_config_for_transformers(config, model, None)
        except ValueError:  # names that have to be converted together
            return True
        return kind not in (config.target_modules or ())

    return {kind for kind in kinds if taken(kind)}
