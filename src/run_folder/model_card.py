"""The README.md of a saved policy."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from src.models.policy import Policy  # imports torch


def model_card(identity: Mapping[str, Any], policy: "Policy") -> str:
    """The model card: what the saved policy is, how to load it, and which run it comes from.

    Args:
        identity: the constant fields of the run's result rows.
        policy: that is saved.

    Returns:
        Markdown, with the metadata that the Hugging Face hub reads.
    """
    kind = "a PEFT adapter" if policy.layers else "a transformers model"
    members = f", the exact mean of {policy.members} members (beside it in `members/`)" if policy.members > 1 else ""
    load = (
        f'AutoPeftModelForCausalLM.from_pretrained("policy")  # on the base model {policy.base}'
        if policy.layers
        else 'AutoModelForCausalLM.from_pretrained("policy")'
    )
    library = "peft" if policy.layers else "transformers"
    imported = "AutoPeftModelForCausalLM" if policy.layers else "AutoModelForCausalLM"
    facts = "\n".join(f"| {name} | {value} |" for name, value in identity.items())
    return (
        f"---\nlibrary_name: {library}\nbase_model: {policy.base}\ntags: [preference-optimization, bpo]\n---\n"
        f"# {identity['loss'].upper()}, reference {identity['reference']}, F={identity['F']}, on {identity['task']}\n\n"
        f"Trained from preferences with bpo-lab: {kind}{members}. Prompts do not end with a space; responses "
        "begin with one.\n\n"
        f"```python\nfrom {library} import {imported}\npolicy = {load}\n```\n\n| | |\n| --- | --- |\n{facts}\n"
    )
