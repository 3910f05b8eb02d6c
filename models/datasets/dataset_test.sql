{{ dataset_door('test') }}
