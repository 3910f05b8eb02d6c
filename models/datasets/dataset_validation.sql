{{ dataset_door('validation') }}
