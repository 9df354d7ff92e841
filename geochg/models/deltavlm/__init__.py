"""DeltaVLM (Deng, Zhou and Wu 2026, Remote Sensing 18, 541) as one transformers model.

The sizes come from the configuration: `sizes.full_config` is the released model of 8.2 billion
parameters, `sizes.compact_config` the small one that geochg trains and ships. Importing this
package loads neither torch nor transformers.
"""
