"""The parameters that a tuning tries: the values of one trial, and a method with them."""

import copy


def suggest(trial, space: dict) -> dict:
    """A value for each parameter of a space, from an Optuna trial.

    A list holds the choices; {low, high, log} is a range; {times, of} multiplies another parameter
    by one of the factors `of`; {same} takes over another parameter's value.
    """
    values: dict = {}
    for name, domain in space.items():
        if isinstance(domain, list):
            values[name] = trial.suggest_categorical(name, domain)
        elif "same" in domain:
            values[name] = values[domain["same"]]
        elif "times" in domain:
            values[name] = trial.suggest_categorical(name, domain["of"]) * values[domain["times"]]
        else:
            low, high = float(domain["low"]), float(domain["high"])
            values[name] = trial.suggest_float(name, low, high, log=domain.get("log", False))
    return values


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
        place[last]  # raises the KeyError that an assignment would not
        place[last] = value
    return method
