"""Run by itself: import every public model class of transformers beside vit_hf, and print what came of it as JSON.

python import_transformers.py all without         the classes that can be imported, and then vit_hf after them
python import_transformers.py all after           the same after `import vit_hf`
python import_transformers.py each NAME ...       each in a fresh process after vit_hf, the first ten before it too
"""

import importlib
import json
import os
import sys
import traceback


def model_classes():
    """Names of all classes of models, and the Auto classes; of other libraries' there are none any more."""
    import transformers

    endings = ("Model", "PreTrainedModel", "Backbone", "LMHeadModel")
    return [
        name
        for name in sorted(dir(transformers))
        if name[:1].isupper() and (name.endswith(endings) or "For" in name) and not name.endswith(("Output", "Config"))
    ]


def importable(names):
    import transformers

    there, errors = [], {}
    for name in names:
        try:
            getattr(transformers, name)
            there.append(name)
        except Exception as error:  # noqa: BLE001 (whatever a module raises as it is imported)
            errors[name] = f"{type(error).__name__}: {error}"[:500]
    return there, errors


def in_a_process(statements):
    """None, or how it failed. Forked from this one, which goes on as if nothing were imported there."""
    read, write = os.pipe()
    if pid := os.fork():
        os.close(write)
        with os.fdopen(read) as told:
            error = told.read()
        os.waitpid(pid, 0)
        return error or None
    try:
        exec(statements, {})
    except BaseException:  # noqa: BLE001 (the process ends here in any case)
        os.write(write, traceback.format_exc()[-4000:].encode())
    os._exit(0)


def every(names):
    importlib.import_module("torch")
    before = [f"from transformers import {name}\nimport vit_hf" for name in names[:10]]
    results = {statements: in_a_process(statements) for statements in before}
    importlib.import_module("vit_hf")  # once for all of those that follow it
    after = [f"from transformers import {name}" for name in names]
    results |= {statements: in_a_process(statements) for statements in after}
    return {statements: error for statements, error in results.items() if error}


if __name__ == "__main__":
    what, *words = sys.argv[1:]
    if what == "each":
        print(json.dumps(every(words)))
    else:
        if words == ["after"]:
            importlib.import_module("vit_hf")
        there, errors = importable(model_classes())
        ours = importlib.import_module("vit_hf")
        names = [getattr(ours, name).__name__ for name in ours.__all__ if name != "__version__"]
        print(json.dumps({"there": there, "errors": errors, "ours": names}))
