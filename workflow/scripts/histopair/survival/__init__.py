"""Survival from bags of patch embeddings, with and without text (CLIP-IT, Section F.6).

A cohort is a folder of patch features per slide and a clinical csv of time and event per patient.
"""
