"""Compile the kernels for cards that need not be there, and print for each the shared memory that a program takes."""

from importlib.util import module_from_spec, spec_from_file_location
from itertools import product
from pathlib import Path

from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile

# Alone, for beside the peers' torchvision the package cannot be imported without more ado.
FILE = Path(__file__).parents[2] / "vit_hf" / "kernels" / "group_attention.py"
spec = spec_from_file_location("group_attention", FILE)
assert spec is not None
assert spec.loader is not None
group_attention = module_from_spec(spec)
spec.loader.exec_module(group_attention)

NUMBERS = {"heads": 3, "members": 49, "rows": 64}
KINDS = {"bias": "*fp32", "to_bias": "*fp32", "order": "*i64", "scaling": "fp32", "images": "i32", "tokens": "i32"}

for kernel, dtype, width in product(
    (group_attention.forward_kernel, group_attention.backward_kernel), ("bf16", "fp16"), (32, 64)
):
    numbers = NUMBERS | {"width": width}
    kinds = {one: "constexpr" if one in numbers else KINDS.get(one, f"*{dtype}") for one in kernel.arg_names}
    pointers = [place for place, one in enumerate(kernel.arg_names) if kinds[one].startswith("*")]
    source = ASTSource(kernel, kinds, numbers, {(place,): [["tt.divisibility", 16]] for place in pointers})
    for capability in (80, 90, 120):
        compiled = compile(source, target=GPUTarget("cuda", capability, 32), options={"num_stages": 2})
        print(kernel.__name__, dtype, width, capability, compiled.metadata.shared)
