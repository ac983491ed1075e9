"""What tests run as a program of its own, where a backend or its devices are chosen when the program starts."""

TRAIN = """
import sys
from saliency_keras.console import run
from saliency_keras.train import main
run(main)
"""
# Before `TRAIN`: the program ends, without a word, when its first state is on disk.
DIE_AFTER_A_STATE = """
import os
from saliency_keras.training import listeners
save_state = listeners.save_state
def die(*arguments):
    save_state(*arguments)
    os._exit(9)
listeners.save_state = die
"""
