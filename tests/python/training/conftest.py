from types import ModuleType

import pytest
from python_models import load


@pytest.fixture(scope="session")
def trainer() -> ModuleType:
    module = load("training_records")
    module.LEARNING_RATE = 0.01  # a few rows and epochs: the tests look at rules, not at quality
    return module


@pytest.fixture(scope="session")
def scorer() -> ModuleType:
    return load("prediction_scores")
