"""What an exported model says beside its findings: why, and when not to trust it.

saliency    where in the image a finding comes from; `seen` keeps what the tower computed
words       which words of the note a finding comes from
trust       whether an image is like those the model learnt from, and which findings may be true
            (`measured` writes what it needs)
evidence    which training images and reports are nearest (`evidence_bank` writes what it needs)
"""
