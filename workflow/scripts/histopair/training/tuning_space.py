"""The parameters that a tuning tries: one trial's values, and a method with them."""

import copy


def suggest(trial, space: dict) -> dict:
    """A value for each parameter of a space, from an Optuna trial.

    A list holds the values; {low, high, log} is a range; {times, of} multiplies another parameter
    by one of the factors `of`; {same} takes over another parameter's value.
    """
    found: dict = {}
    for name, domain in space.items():
        if isinstance(domain, list):
            found[name] = trial.suggest_categorical(name, domain)
        elif "same" in domain:
            found[name] = found[domain["same"]]
        elif "times" in domain:
            found[name] = trial.suggest_categorical(name, domain["of"]) * found[domain["times"]]
        else:
            low, high = float(domain["low"]), float(domain["high"])
            found[name] = trial.suggest_float(name, low, high, log=domain.get("log", False))
    return found


def changed(method: dict, parameters: dict) -> dict:
    """A copy of a method's entry with these parameters; "lora.rank" is the rank inside lora.

    Raises KeyError or TypeError for a parameter that the method does not have.
    """
    method = copy.deepcopy(method)
    for name, value in parameters.items():
        *path, last = name.split(".")
        place = method
        for key in path:
            place = place[key]
        place[last]  # a KeyError for what is not there
        place[last] = value
    return method
