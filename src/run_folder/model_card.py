"""The README.md of a saved policy."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from src.models.base_name import portable_base, spoken_base

if TYPE_CHECKING:
    from src.models.policy import Policy  # imports torch


def model_card(identity: Mapping[str, Any], policy: "Policy") -> str:
    """The model card: what the saved policy is, how to load it, and which run it comes from.

    Args:
        identity: the constant fields of the run's result rows.
        policy: that is saved.

    Returns:
        Markdown, with the metadata that the Hugging Face hub reads: the base model only where it has a name there.
    """
    portable = portable_base(policy.base)
    kind = "a PEFT adapter" if policy.layers else "a transformers model"
    members = f", the exact mean of {policy.members} members (beside it in `members/`)" if policy.members > 1 else ""
    library = "peft" if policy.layers else "transformers"
    named = f"base_model: {portable[0]}\n" if portable else ""
    facts = "\n".join(f"| {name} | {value} |" for name, value in identity.items())
    return (
        f"---\nlibrary_name: {library}\n{named}tags: [preference-optimization, bpo]\n---\n"
        f"# {identity['loss'].upper()}, reference {identity['reference']}, F={identity['F']}, on {identity['task']}\n\n"
        f"Trained from preferences with bpo-lab: {kind}{members}. Prompts do not end with a space; responses "
        f"begin with one.\n\n{_loading(policy)}\n\n| | |\n| --- | --- |\n{facts}\n"
    )


def _loading(policy: "Policy") -> str:
    """How to load the policy, here and where its base model has another place."""
    name, portable = spoken_base(policy.base), portable_base(policy.base)
    revision = f", revision `{portable[1]}`" if portable and portable[1] else ""
    if not policy.layers:
        return (
            f"The base model was `{name}`{revision}.\n\n```python\nfrom transformers import AutoModelForCausalLM\n"
            'policy = AutoModelForCausalLM.from_pretrained("policy")\n```'
        )
    place = "" if portable else ", a folder on the machine of the run; elsewhere give a copy of it"
    loaded_with = 'PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained("BASE"), "policy")'
    return (
        f"The base model is `{name}`{revision}{place}.\n\n"
        "```python\nfrom peft import AutoPeftModelForCausalLM, PeftModel\n"
        "from transformers import AutoModelForCausalLM\n"
        f'policy = AutoPeftModelForCausalLM.from_pretrained("policy")  # on the base model {name}\n'
        f"policy = {loaded_with}  # on a copy of it\n```\n\n"
        "`python -m src.evaluate policy=RUN base=BASE` and `src.sample` take such a copy too."
    )
