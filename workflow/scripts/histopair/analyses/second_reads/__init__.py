"""What an export says beside its findings, held against the truth: a table with a row a measure.

questions   the table
pointing    saliency against masks of lesions
readings    words against the phrases that name a finding
shifted     warnings on images that were blurred, magnified, shrunk or stained otherwise
intervals   means and AUCs with intervals over groups
"""
