"""Collects what `ha doctor` judges. It only looks, and changes nothing."""
