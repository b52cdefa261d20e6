"""What an exported model says beside its findings: why, and when not to trust it.

saliency    where in the image a finding comes from; `seen` keeps what the tower computed
words       which words of the note a finding comes from
checks      whether an image is like those the model learnt from, and which findings may be true
"""
